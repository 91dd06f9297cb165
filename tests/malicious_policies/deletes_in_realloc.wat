;; Deletes in its `realloc`, while the host passes the request. No imports can be called then.
;; Expected: trap, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $deleted))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call $delete (i32.const 0))
      (i32.const 0x8000))
  )
  (core instance $policy (instantiate $policy (with "host" (instance $host))))
  (alias export $types "request" (type $request))
  (alias export $types "rejection" (type $rejection))
  (func $decide (param "request" $request) (result (result (error $rejection)))
    (canon lift (core func $policy "delete-learning") (memory $memory "memory")
      (realloc (func $policy "realloc"))))
  (export "delete-learning" (func $decide))
)
