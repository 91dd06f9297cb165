;; Spins before it has asked its host for anything. Must be stopped for its processor time: 500, and the record is
;; kept.
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
