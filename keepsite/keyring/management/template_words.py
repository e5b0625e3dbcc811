from hsm.keys import UnwrapTemplate

TEMPLATES = [template.value for template in UnwrapTemplate]
NOT_BOUND = (
    "This token lets whoever has the PIN unwrap a pKEK so that it can be read: it does not enforce an unwrap "
    "template on this MKEK. Guard the PIN accordingly; docs/operators/ceremony.md says what there is to do."
)
