;; A command: says its last argument, and ends with 3.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1024 (pagesize 1))
  (func (export "_start")
    (drop (call $args (i32.const 0) (i32.const 64)))
    (drop (call $random (i32.const 128) (i32.const 32)))
    (i32.store (i32.const 16) (i32.load (i32.const 4)))
    (i32.store (i32.const 20) (i32.const 5))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
    (call $exit (i32.const 3))))
