;; Finds the record and deletes it by its revision, whatever its owner is.
;; Expected: 204 for a record of the caller; 500, record not deleted, for a record of another owner.
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
      (call $delete-if-unchanged (i32.load (i32.const 168)) (i32.load (i32.const 172)) (i32.const 512))
      (i32.const 512))
  )
  ;; include guard-export
)
