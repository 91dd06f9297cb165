;; Grows its memory to the limit, writes to every page and traps.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (local $at i32)
      (loop $grow (br_if $grow (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
      (loop $fill
        (i32.store (local.get $at) (i32.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $fill (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 0x10000)))))
      unreachable)
  )
  ;; include guard-export
)
