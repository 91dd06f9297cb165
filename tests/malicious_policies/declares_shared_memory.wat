;; Declares a memory that threads share. The sandbox does not enable threads.
;; Expected: load error.
(component
  (core module (memory 1 1 shared))
)
