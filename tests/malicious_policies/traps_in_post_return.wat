;; Deletes, returns success, and traps in its `post-return` function.
;; Expected: 500, record deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $deleted))
    (func (export "after") (param i32)
      unreachable)
  )
  (core instance $policy (instantiate $policy (with "host" (instance $host))))
  (alias export $types "request" (type $request))
  (alias export $types "rejection" (type $rejection))
  (func $decide (param "request" $request) (result (result (error $rejection)))
    (canon lift (core func $policy "delete-learning") (memory $memory "memory")
      (realloc (func $memory "realloc")) (post-return (func $policy "after"))))
  (export "delete-learning" (func $decide))
)
