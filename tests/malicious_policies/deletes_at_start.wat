;; Deletes in the start function of its core module, and says so when it is called. What it says is true: 204.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func $start (call $delete (i32.const 0)))
    (start $start)
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
