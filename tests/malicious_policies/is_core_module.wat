;; A core module instead of a component.
;; Expected: load error with the command that wraps it.
(module
  (func (export "delete-learning"))
)
