;; Asks storage for ever where the record is. Must be stopped for its calls: 500, and the record is kept.
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
