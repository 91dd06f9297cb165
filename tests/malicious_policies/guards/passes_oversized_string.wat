;; Deletes with a condition of 100,000 bytes.
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
      (call $delete-if-owned-by (i32.const 0) (i32.const 100000) (i32.const 512))
      (i32.const 512))
  )
  ;; include guard-export
)
