;; Deletes with the name of another owner.
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
      (call $delete-if-owned-by (i32.const 2056) (i32.const 7) (i32.const 512))
      (i32.const 512))
  )
  ;; include guard-export
)
