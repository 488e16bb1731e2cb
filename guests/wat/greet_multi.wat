;; A function of text in the multi-value shape: "Gopher" becomes "Hello, Gopher!".
(module
  ;; 0: the heads of the free lists. 128: texts. 1024: the heap.
  (memory (export "memory") 1)
  (data (i32.const 128) "Hello, ")
  (data (i32.const 135) "input is not UTF-8")
  (data (i32.const 153) "no memory")

  (func (export "greet") (param $ptr i32) (param $size i32) (result i32 i32)
    (local $out i32) (local $out_size i32)
    (if (i32.eqz (call $is_utf8 (local.get $ptr) (local.get $size)))
      (then (return (call $error (i32.const 135) (i32.const 18)))))
    (local.set $out_size (i32.add (local.get $size) (i32.const 8)))
    (local.set $out (call $allocate (local.get $out_size)))
    (if (i32.eqz (local.get $out)) (then (return (call $error (i32.const 153) (i32.const 9)))))
    (memory.copy (local.get $out) (i32.const 128) (i32.const 7))
    (memory.copy (i32.add (local.get $out) (i32.const 7)) (local.get $ptr) (local.get $size))
    (i32.store8 offset=7 (i32.add (local.get $out) (local.get $size)) (i32.const 33))
    (local.get $out)
    (local.get $out_size))

  ;; An error answer: a copy of the message, and its size with bit 31 set. Without memory for it, the message is empty.
  (func $error (param $message i32) (param $size i32) (result i32 i32)
    (local $ptr i32)
    (local.set $ptr (call $allocate (local.get $size)))
    (if (i32.eqz (local.get $ptr)) (then (return (i32.const 8) (i32.const 0x80000000))))
    (memory.copy (local.get $ptr) (local.get $message) (local.get $size))
    (local.get $ptr)
    (i32.or (local.get $size) (i32.const 0x80000000)))

  ;; Whether these bytes are UTF-8: no stray or missing bytes, no overlong forms, no surrogates, nothing over U+10FFFF.
  (func $is_utf8 (param $ptr i32) (param $size i32) (result i32)
    (local $end i32) (local $byte i32) (local $bytes i32) (local $left i32) (local $point i32)
    (local.set $end (i32.add (local.get $ptr) (local.get $size)))
    (loop $next
      (if (i32.eq (local.get $ptr) (local.get $end)) (then (return (i32.const 1))))
      (local.set $byte (i32.load8_u (local.get $ptr)))
      (local.set $ptr (i32.add (local.get $ptr) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $byte) (i32.const 0x80)))
      ;; The first byte's leading ones say how many bytes there are: 2 to 4.
      (local.set $bytes (i32.clz (i32.xor (i32.shl (local.get $byte) (i32.const 24)) (i32.const -1))))
      (if (i32.gt_u (i32.sub (local.get $bytes) (i32.const 2)) (i32.const 2)) (then (return (i32.const 0))))
      (local.set $left (i32.sub (local.get $bytes) (i32.const 1)))
      (if (i32.gt_u (local.get $left) (i32.sub (local.get $end) (local.get $ptr))) (then (return (i32.const 0))))
      (local.set $point (i32.and (local.get $byte) (i32.shr_u (i32.const 0x7f) (local.get $bytes))))
      (loop $more
        (local.set $byte (i32.load8_u (local.get $ptr)))
        (local.set $ptr (i32.add (local.get $ptr) (i32.const 1)))
        (if (i32.ne (i32.and (local.get $byte) (i32.const 0xc0)) (i32.const 0x80)) (then (return (i32.const 0))))
        (local.set $point
          (i32.or (i32.shl (local.get $point) (i32.const 6)) (i32.and (local.get $byte) (i32.const 0x3f))))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      ;; The least point of 2 bytes is 2^7, of 3 it is 2^11, of 4 it is 2^16.
      (if (i32.lt_u
            (local.get $point)
            (i32.shl
              (i32.const 1)
              (i32.add
                (i32.sub (i32.mul (local.get $bytes) (i32.const 5)) (i32.const 4))
                (i32.eq (local.get $bytes) (i32.const 2)))))
        (then (return (i32.const 0))))
      (if (i32.gt_u (local.get $point) (i32.const 0x10ffff)) (then (return (i32.const 0))))
      (br_if $next (i32.ne (i32.and (local.get $point) (i32.const 0x1ff800)) (i32.const 0xd800))))
    (i32.const 0))

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
