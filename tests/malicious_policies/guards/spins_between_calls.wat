;; Loops endlessly, and calls the storage now and then.
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
      (loop $again
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.eqz (i32.and (local.get $at) (i32.const 0x7ffffff))) (then (call $locate (i32.const 0))))
        (br $again))
      unreachable)
  )
  ;; include guard-export
)
