;; Exports an instance under the name of the function.
;; Expected: load error.
(component
  (instance $nothing)
  (export "delete-learning" (instance $nothing))
)
