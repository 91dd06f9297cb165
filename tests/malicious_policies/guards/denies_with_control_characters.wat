;; Finds the record, and denies the delete with a control character in the message.
;; Expected: 403 with another message, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (i32.store8 (i32.const 2050) (i32.const 27))
      (call $find (i32.const 0))
      (call $error (i32.const 6)))
  )
  ;; include guard-export
)
