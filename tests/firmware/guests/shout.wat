;; What `typed/shout.wat` does, in the native ABI.
(module
  (import "env" "host_log" (func $line (param i32 i32)))
  (memory (export "memory") 4096 (pagesize 1))
  (global $at (mut i32) (i32.const 16))
  (func (export "allocate") (param i32) (result i32)
    (global.get $at)
    (global.set $at (i32.add (global.get $at) (local.get 0))))
  (func (export "deallocate") (param i32 i32) (global.set $at (i32.const 16)))
  (func (export "process") (param $text i32) (param $bytes i32) (result i64) (local $at i32)
    (call $line (local.get $text) (local.get $bytes))
    (block $done (loop $next
      (br_if $done (i32.eq (local.get $at) (local.get $bytes)))
      (i32.store8 (i32.add (local.get $text) (local.get $at))
        (i32.and (i32.load8_u (i32.add (local.get $text) (local.get $at))) (i32.const 0xdf)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $text)) (i64.const 32))
      (i64.extend_i32_u (local.get $bytes)))))
