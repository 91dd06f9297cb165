;; Declares seven memories, each within the limit, whose total is above it.
;; Expected: never runs, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (memory 64)
    (memory 64)
    (memory 64)
    (memory 64)
    (memory 64)
    (memory 64)
    (memory 64)
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
