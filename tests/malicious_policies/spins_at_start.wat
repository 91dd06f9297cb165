;; Spins in the start function of its core module, before it is called at all. Must be stopped: 500, and the record is
;; kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func $spin (loop $again (br $again)))
    (start $spin)
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
