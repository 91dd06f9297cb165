;; Finds the record and denies the delete, whoever owns the record.
;; Expected: 403, record not deleted, for a record of the caller; 500 for a record of another owner.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (call $find (i32.const 0))
      (call $error (i32.const 6)))
  )
  ;; include guard-export
)
