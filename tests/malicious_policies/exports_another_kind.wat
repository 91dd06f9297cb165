;; Exports an instance under the name of the function. Must be refused when it is loaded.
(component
  (instance $nothing)
  (export "delete-learning" (instance $nothing))
)
