;; What is measured: memory of 1 KiB, an exchange of bytes, a call, and host calls in a row.
(module
  (import "host" "none" (func $none))
  (import "host" "bytes" (func $bytes (param i32 i32)))
  (memory (export "memory") 1024 (pagesize 1))
  (func (export "allocate") (param i32) (result i32) (i32.const 512))
  (func (export "deallocate") (param i32 i32))
  (func (export "process") (param i32 i32) (result i64)
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))
      (i64.extend_i32_u (local.get 1))))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "call_none") (param $n i32)
    (loop $on
      (call $none)
      (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "call_bytes") (param $n i32)
    (loop $on
      (call $bytes (i32.const 64) (i32.const 16))
      (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
