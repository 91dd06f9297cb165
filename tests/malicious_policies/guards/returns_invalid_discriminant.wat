;; Returns a result that is neither a value nor an error.
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
      (i32.store8 (i32.const 1024) (i32.const 2))
      (i32.const 1024))
  )
  ;; include guard-export
)
