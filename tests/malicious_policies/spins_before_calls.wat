;; Loops endlessly before it calls the host.
;; Expected: CPU time limit, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (loop $again (br $again))
      unreachable)
  )
  ;; include export
)
