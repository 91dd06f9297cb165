;; Calls `storage.delete` endlessly.
;; Expected: too many calls, 500, record deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (loop $again
        (call $delete (i32.const 0))
        (br $again))
      unreachable)
  )
  ;; include export
)
