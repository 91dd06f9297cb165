;; Deletes the record by its revision, which is 1, without finding it.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (data (i32.const 2072) "1")
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (call $delete-if-unchanged (i32.const 2072) (i32.const 1) (i32.const 512))
      (i32.const 512))
  )
  ;; include guard-export
)
