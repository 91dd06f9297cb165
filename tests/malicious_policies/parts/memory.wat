  ;; A memory of four pages, and a bump allocator that starts after the first 32 KiB.
  (core module $memory
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 0x8000))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      ;; The next multiple of 8, which satisfies every alignment.
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (local.get $at))
  )
