;; Deletes the record and returns `absent`.
;; Expected: 500, record deleted.
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
      (call $outcome (i32.const 0)))
  )
  ;; include guard-export
)
