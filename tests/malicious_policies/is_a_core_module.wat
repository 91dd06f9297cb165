;; Is a core module. Must be refused when it is loaded, with a word on how to make a component of it.
(module
  (func (export "delete-learning"))
)
