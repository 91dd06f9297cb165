;; Deletes in the start function of its core module, and traps there.
;; Expected: 500, record deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func $start
      (call $delete (i32.const 0))
      unreachable)
    (start $start)
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
