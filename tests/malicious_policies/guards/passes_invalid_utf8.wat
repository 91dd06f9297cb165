;; Deletes with a condition that is not UTF-8.
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
      (i32.store8 (i32.const 2050) (i32.const 0xff))
      (call $delete-if-unchanged (i32.const 2048) (i32.const 7) (i32.const 512))
      (i32.const 512))
  )
  ;; include guard-export
)
