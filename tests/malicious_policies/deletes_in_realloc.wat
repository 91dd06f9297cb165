;; Deletes while the host passes it the request. It may call nobody then: 500, and the record is kept.
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
