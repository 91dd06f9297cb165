;; Returns neither success nor a rejection, but a third case of the `result`.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (i32.store8 (i32.const 1024) (i32.const 2))
      (i32.const 1024))
  )
  ;; include export
)
