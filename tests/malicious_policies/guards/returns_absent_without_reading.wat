;; Returns `absent` without calling the storage.
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
      (call $outcome (i32.const 0)))
  )
  ;; include guard-export
)
