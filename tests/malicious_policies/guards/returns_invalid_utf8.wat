;; Deletes nothing, and returns an error whose message is not UTF-8.
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
      (call $error (i32.const 9)))
  )
  ;; include guard-export
)
