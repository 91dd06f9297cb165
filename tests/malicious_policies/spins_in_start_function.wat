;; Loops endlessly in the start function of its core module, before its export is called.
;; Expected: CPU time limit, 500, record not deleted.
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
