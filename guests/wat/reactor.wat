;; A reactor: the host calls `_initialize` once, before anything else. `process` answers, in the packed shape, how often
;; that happened: "initialized 0 times" before it, "initialized 1 times" after it, and any other figure is a fault.
(module
  ;; 0: the heads of the free lists. 128: text. 1024: the heap.
  (memory (export "memory") 1)
  (data (i32.const 128) "initialized 0 times")

  (global $initialized (mut i32) (i32.const 0))

  (func (export "_initialize")
    (global.set $initialized (i32.add (global.get $initialized) (i32.const 1))))

  (func (export "process") (param $ptr i32) (param $size i32) (result i64)
    (local $out i32)
    (local.set $out (call $allocate (i32.const 19)))
    ;; Without memory, an error answer with an empty message.
    (if (i32.eqz (local.get $out)) (then (return (i64.const 0x8_80000000))))
    (memory.copy (local.get $out) (i32.const 128) (i32.const 19))
    (i32.store8 offset=12
      (local.get $out)
      (i32.add (i32.const 48) (i32.rem_u (global.get $initialized) (i32.const 10))))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $out)) (i64.const 32))
      (i64.const 19)))

  ;; The heap: blocks of a power of two of bytes, 8 and up, and for each power a list of those that are free. The word
  ;; at 4 × p heads the list for 2^p bytes, and the first word of a free block is the next one. A block is used again
  ;; for sizes of its power only, so memory stays within what the busiest call needed of each.
  (global $top (mut i32) (i32.const 1024))

  ;; The power whose blocks hold `size` bytes.
  (func $power (param $size i32) (result i32)
    (i32.sub (i32.const 32) (i32.clz (i32.or (i32.sub (local.get $size) (i32.const 1)) (i32.const 7)))))

  (func $allocate (export "allocate") (param $size i32) (result i32)
    (local $head i32) (local $ptr i32) (local $end i64) (local $missing i64)
    ;; Nothing to hold: an address that is not null.
    (if (i32.eqz (local.get $size)) (then (return (i32.const 8))))
    (if (i32.gt_u (local.get $size) (i32.const 0x40000000)) (then (return (i32.const 0))))
    (local.set $head (i32.shl (call $power (local.get $size)) (i32.const 2)))
    (local.set $ptr (i32.load (local.get $head)))
    (if (local.get $ptr)
      (then
        (i32.store (local.get $head) (i32.load (local.get $ptr)))
        (return (local.get $ptr))))
    (local.set $ptr (global.get $top))
    (local.set $end
      (i64.add
        (i64.extend_i32_u (local.get $ptr))
        (i64.shl (i64.const 1) (i64.extend_i32_u (call $power (local.get $size))))))
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
    (local.get $ptr))

  (func $deallocate (export "deallocate") (param $ptr i32) (param $size i32)
    (local $head i32)
    (if (local.get $size)
      (then
        (local.set $head (i32.shl (call $power (local.get $size)) (i32.const 2)))
        (i32.store (local.get $ptr) (i32.load (local.get $head)))
        (i32.store (local.get $head) (local.get $ptr))))))
