;; As little as a plugin can be: what it takes is the host's.
(module
  (memory (export "memory") 0 (pagesize 1))
  (func (export "allocate") (param i32) (result i32) (i32.const 0))
  (func (export "process") (param i32 i32) (result i64) (i64.const 0)))
