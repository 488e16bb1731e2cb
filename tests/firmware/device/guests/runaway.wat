;; Never ends.
(module
  (memory (export "memory") 64 (pagesize 1))
  (func (export "allocate") (param i32) (result i32) (i32.const 32))
  (func (export "process") (param i32 i32) (result i64) (loop $on (br $on)) (unreachable)))
