;; Deletes the record when it is instantiated.
;; Expected: 500; record deleted only if the first call is a delete with the same condition.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-deletes
    (func $start (call $delete-if-owned-by (i32.const 2064) (i32.const 5) (i32.const 512)))
    (start $start)
  )
  ;; include guard-export
)
