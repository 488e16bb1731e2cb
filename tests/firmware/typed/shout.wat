;; A component for devices. Its world:
;;
;;   import demo:device/log@0.1.0;  // interface log { line: func(text: string); }
;;   export shout: func(text: string) -> string;
;;
;; `shout` logs its argument, and returns it in upper case. `shout.wasm` is what `hostel lower --strip` makes of it; a
;; test compares.
(component
  (import "demo:device/log@0.1.0" (instance $log (export "line" (func (param "text" string)))))
  (core module $Memory
    (memory (export "memory") 4096 (pagesize 1))
    (global $at (mut i32) (i32.const 16))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $at)
      (global.set $at (i32.add (global.get $at) (local.get 3))))
    (func (export "reset") (global.set $at (i32.const 16))))
  (core instance $memory (instantiate $Memory))
  (core func $line (canon lower (func $log "line") (memory (core memory $memory "memory"))))
  (core module $Main
    (import "memory" "memory" (memory 4096 (pagesize 1)))
    (import "memory" "reset" (func $reset))
    (import "log" "line" (func $line (param i32 i32)))
    (func (export "shout") (param $text i32) (param $bytes i32) (result i32) (local $at i32)
      (call $line (local.get $text) (local.get $bytes))
      (block $done (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $bytes)))
        (i32.store8 (i32.add (local.get $text) (local.get $at))
          (i32.and (i32.load8_u (i32.add (local.get $text) (local.get $at))) (i32.const 0xdf)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
      (i32.store (i32.const 0) (local.get $text))
      (i32.store (i32.const 4) (local.get $bytes))
      (i32.const 0))
    (func (export "returned") (param i32) (call $reset)))
  (core instance $main (instantiate $Main
    (with "memory" (instance $memory))
    (with "log" (instance (export "line" (func $line))))))
  (func (export "shout") (param "text" string) (result string)
    (canon lift (core func $main "shout") (memory (core memory $memory "memory"))
      (realloc (core func $memory "realloc")) (post-return (core func $main "returned")))))
