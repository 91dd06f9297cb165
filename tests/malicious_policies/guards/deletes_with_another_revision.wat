;; Finds the record and deletes it by another revision.
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
      (call $find (i32.const 0))
      (call $delete-if-unchanged (i32.const 2048) (i32.const 7) (i32.const 512))
      (i32.const 512))
  )
  ;; include guard-export
)
