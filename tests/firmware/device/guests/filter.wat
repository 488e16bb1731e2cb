;; Smooths samples, 16 bits each, in place: a moving average that takes its time.
(module
  (import "env" "host_log" (func $log (param i32 i32)))
  (memory (export "memory") 2048 (pagesize 1))
  (data (i32.const 16) "filtering")
  (func (export "allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "process") (param $at i32) (param $size i32) (result i64)
    (local $round i32) (local $n i32) (local $here i32)
    (call $log (i32.const 16) (i32.const 9))
    (local.set $round (i32.const 60))
    (loop $rounds
      (local.set $n (i32.sub (i32.shr_u (local.get $size) (i32.const 1)) (i32.const 1)))
      (local.set $here (local.get $at))
      (loop $samples
        (i32.store16 (local.get $here)
          (i32.shr_s
            (i32.add (i32.load16_s (local.get $here)) (i32.load16_s offset=2 (local.get $here)))
            (i32.const 1)))
        (local.set $here (i32.add (local.get $here) (i32.const 2)))
        (br_if $samples (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (br_if $rounds (local.tee $round (i32.sub (local.get $round) (i32.const 1)))))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
      (i64.extend_i32_u (local.get $size)))))
