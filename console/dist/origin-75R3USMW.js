import{a}from"./chunk-L2AJX44M.js";import"./chunk-R2KQIPGE.js";import"./chunk-KTALL32T.js";import"./chunk-ONFQWQRN.js";export{a as Origin};
