;; No `deallocate`: what is allocated stays, so memory grows with each call. `process` gives its input back, in the
;; packed shape, and may do so in the same buffer, for nobody frees it twice.
(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 8))

  (func (export "process") (param $ptr i32) (param $size i32) (result i64)
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $ptr)) (i64.const 32))
      (i64.extend_i32_u (local.get $size))))

  (func (export "allocate") (param $size i32) (result i32)
    (local $ptr i32) (local $end i64) (local $missing i64)
    (local.set $ptr (global.get $top))
    (local.set $end (i64.add (i64.extend_i32_u (local.get $ptr)) (i64.extend_i32_u (local.get $size))))
    ;; An end at 4 GiB would wrap to address 0.
    (if (i64.gt_u (local.get $end) (i64.const 0xffffffff)) (then (return (i32.const 0))))
    (local.set $missing
      (i64.sub (local.get $end) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16))))
    (if (i64.gt_s (local.get $missing) (i64.const 0))
      (then
        (if (i32.eq
              (memory.grow
                (i32.wrap_i64 (i64.shr_u (i64.add (local.get $missing) (i64.const 0xffff)) (i64.const 16))))
              (i32.const -1))
          (then (return (i32.const 0))))))
    (global.set $top (i32.wrap_i64 (local.get $end)))
    (local.get $ptr)))
