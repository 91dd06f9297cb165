;; Has a memory for threads, which a policy has none of. Must be refused when it is loaded.
(component
  (core module (memory 1 1 shared))
)
