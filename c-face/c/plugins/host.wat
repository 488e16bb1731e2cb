;; Calls functions of the host's: of numbers, and of bytes.
(module
  (import "shop" "add" (func $add (param i32 i32) (result i32)))
  (import "shop" "twice" (func $twice (param i32 i32) (result i32 i32)))
  (memory (export "memory") 1024 (pagesize 1))
  (global $top (mut i32) (i32.const 16))
  (func (export "allocate") (param $size i32) (result i32)
    (if (i32.gt_u (local.get $size) (i32.const 64)) (then (return (i32.const 0))))
    (global.set $top (i32.add (i32.const 16) (i32.and (i32.const 511) (i32.add (global.get $top) (i32.const 64)))))
    (global.get $top))
  (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
  (func (export "process") (param i32 i32) (result i32 i32) (call $twice (local.get 0) (local.get 1))))
