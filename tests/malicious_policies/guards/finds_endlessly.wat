;; Calls `find` endlessly.
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
      (loop $again (call $find (i32.const 0)) (br $again))
      unreachable)
  )
  ;; include guard-export
)
