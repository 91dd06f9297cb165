;; Calls `storage.locate` endlessly.
;; Expected: too many calls, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (loop $again
        (call $locate (i32.const 0))
        (br $again))
      unreachable)
  )
  ;; include export
)
