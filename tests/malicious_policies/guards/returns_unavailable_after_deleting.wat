;; Deletes the record and returns `unavailable`, whatever the storage returned.
;; Expected: 500; the outcome of the record is what the storage returned.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (call $delete-if-owned-by (local.get 0) (local.get 1) (i32.const 512))
      (call $error (i32.const 7)))
  )
  ;; include guard-export
)
