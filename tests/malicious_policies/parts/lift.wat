  ;; Exports the core function `delete-learning` as the function of the contract.
  (alias export $types "request" (type $request))
  (alias export $types "rejection" (type $rejection))
  (func $decide (param "request" $request) (result (result (error $rejection)))
    (canon lift (core func $policy "delete-learning")
      (memory $memory "memory") (realloc (func $memory "realloc"))))
  (export "delete-learning" (func $decide))
