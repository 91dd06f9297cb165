;; Deletes in the start function of its core module, and returns success when it is called.
;; Expected: 204, because the record is deleted.
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
